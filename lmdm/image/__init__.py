"""DecQ: detail-condensing queries for representation autoencoders (arXiv 2605.22777), offline."""
