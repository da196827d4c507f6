"""Changes one operator, comparison or number of a module at a time, and tells which changes the tests beside it do not see."""
