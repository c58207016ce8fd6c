"""Functions that ask while they run (the parameter ``interaction``), for HTTP callers.

Followed: ``resource`` starts the call and answers requests → ``conversation`` is what the function
talks to → ``register`` keeps what is asked under a URL → ``replies`` reads what comes back.
``events`` is the same for callers that read Server-Sent Events.
"""
