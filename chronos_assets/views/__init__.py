"""What people read: documents, charts and sheets, built once from the stores and shown by every front end."""
