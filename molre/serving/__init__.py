"""A bundle behind HTTP: uploads, the Ray Serve application, and a page for people."""
