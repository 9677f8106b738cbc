"""The Server: takes jobs from people, compiles them into tasks, gives them to Managers, and shows how they go."""
