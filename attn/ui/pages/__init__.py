"""What belongs to one page: a module or a folder each, named as the page."""
