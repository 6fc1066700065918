"""How a recording becomes a picture: the speech encoder, the pipeline, and what people do with both."""
