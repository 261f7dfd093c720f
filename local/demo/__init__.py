"""`make demo`: the application deployed to a local AWS, at work before your eyes.

In reading order: `__main__` (start, deploy, show, stop), `stored_procedures`, `redshift_to_dynamo`, `display`.
"""
