"""Mail that comes back: bounces to the return path, complaints, mailed opt-outs. It keeps nothing."""
