"""Reading: the rows of a piece out of Parquet files in S3, in chunks of bounded memory.

`piece_reader` reads row groups, each file an `s3_file`; `read_ahead` makes the next chunk while one is used.
Imports no other room.
"""
