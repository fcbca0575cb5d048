"""What the page shows, a module a section: each makes of a study what its partial in `templates/report/` lays out."""
