# The bot in a container: not root, nothing of the image writable but DATA_DIR, no compiler inside.
#
#   docker build -t vocal .
#   docker run -d --name vocal --restart unless-stopped --env-file .env \
#       --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#       --memory 3g --pids-limit 256 --stop-timeout 30 -v vocal-data:/data vocal
#
# The token comes from the environment when the container starts; it is never part of the image.

FROM python:3.11-slim AS build
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY bot bot
COPY pipeline pipeline
COPY composer composer
RUN python -m venv /venv && /venv/bin/pip install --only-binary :all: .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin vocal \
    && install --directory --owner vocal --group vocal --mode 0700 /data
COPY --from=build /venv /venv
ENV DATA_DIR=/data PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
USER 10001
VOLUME /data
STOPSIGNAL SIGTERM
# No HEALTHCHECK: a bot that cannot go on ends by itself, and /health says the rest.
ENTRYPOINT ["/venv/bin/python", "-m", "bot"]
