"""The colours of a dark chat."""

from __future__ import annotations

CHAT = "#323339"
TEXT = "#dfe0e2"
HEADING = "#f5f5f6"
MUTED = "#9b9ca3"
LINK = "#5ea8ff"
MENTION = "#c9d4ff"
MENTION_GROUND = "#414675"
CODE = "#27282d"
CARD = "#393a41"
EDGE = "#44454c"
FIELD = "#2a2b30"
BADGE = "#5865f2"
PLAYER = "#1f2024"
TRACK = "#5c5d66"

BUTTONS = {
    1: ("#5865f2", "#ffffff"),
    2: ("#43444b", "#eeeef0"),
    3: ("#2c8a4e", "#ffffff"),
    4: ("#d0373b", "#ffffff"),
    5: ("#43444b", "#eeeef0"),
}
"""Ground and letters of buttons, by their style: primary, secondary, success, danger, link."""
