"""Two songs in, one mash-up out: the audio, without any Discord."""
