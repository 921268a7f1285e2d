"""What other packages need to run on fibers, one module for each of them."""
