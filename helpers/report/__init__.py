"""From results to something a person reads: tables, figures, runs, notebooks, the site. Import its modules by name."""
