"""Writers of planned rows: each takes requests as it can send them, and hands replies on as they arrive."""
