"""Music for training: layouts of data sets, shards of latents, examples cut from them."""
