"""Study files and recipes, checked before anything runs."""
