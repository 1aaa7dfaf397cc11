"""What we ask of storage: two small protocols and the types they speak."""
