"""Captions and their CLIP text embeddings."""
