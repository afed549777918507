"""What is asked of a server for each thing that a caller wants, and what is made of the answers. Pure.

A plan is a generator of requests, which is sent their answers. Whoever waits in threads and whoever waits on an event
loop run the same plans.
"""
