"""Packs sorted patterns into a trie; nothing of it is seen by Python."""
