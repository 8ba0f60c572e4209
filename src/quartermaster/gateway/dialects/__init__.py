"""The wire dialects: one file per dialect and direction, pure functions on bytes and structs."""
