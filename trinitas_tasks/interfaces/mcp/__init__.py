"""The MCP server: memories as tools of agents, over stdio and HTTP."""
