"""What we remember: models, migrations, one module of queries per aggregate, and the job queue.

This room knows Postgres and nothing of telephones, pages or lessons. Queries take the session first and never commit:
a transaction belongs to whoever opened it with ``Database.school`` or ``Database.anyone``.
"""
