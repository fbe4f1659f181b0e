"""Members that are not fine-tuned: TF-IDF, frozen embeddings and text statistics."""
