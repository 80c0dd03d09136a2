"""Where files are kept: a directory, or S3 and what speaks its protocol. Contents stream through, piece by piece."""
