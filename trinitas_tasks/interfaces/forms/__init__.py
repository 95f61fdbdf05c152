"""The files that memories come from and go to: one module for each form, behind the interface in `form`."""
