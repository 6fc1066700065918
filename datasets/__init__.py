"""What a caption, its recording and its picture are, on disk and in a batch. Knows nothing of networks."""
