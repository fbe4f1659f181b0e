"""Files: paths, strict reading, atomic writing, hashes and stamps."""
