"""Speed and memory of tfmeta beside other implementations; see README.md in this folder."""
