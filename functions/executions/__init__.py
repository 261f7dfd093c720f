"""What an execution has under way (`notes`), for whoever stops it. Imports no other room."""
