"""Declarative device management: what a device holds of its server's declarations, does with them, and tells.

Apple: "Leveraging the declarative management data model to scale devices", `DeclarativeManagement`.
"""
