"""The guided tour: a script of steps, and the small engine that goes through it, with the explorer's own keys."""
