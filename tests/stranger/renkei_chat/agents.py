def register(app, topics):
    pass
