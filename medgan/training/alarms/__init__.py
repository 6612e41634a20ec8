"""Signs that training has gone wrong, as pure functions of numbers and pictures."""
