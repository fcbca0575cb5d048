"""`ast` to `ir.Spec`: files, names, fields."""
