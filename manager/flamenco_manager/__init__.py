"""The Manager: schedules the tasks of one site, hands them to Workers, and tells the Server what became of them."""
