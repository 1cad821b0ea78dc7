"""Asks a Hub as FLAME's Pod Orchestrator does, by FLAME's own client, and prints what it was answered as JSON."""

import json
import sys

import flame_hub

core, auth, client, secret, analysis = sys.argv[1:]
hub = flame_hub.CoreClient(base_url=core, auth=flame_hub.auth.ClientAuth(client, secret, base_url=auth))
node = hub.find_nodes(filter={"client_id": client})[0]
part = hub.find_analysis_nodes(filter={"analysis_id": analysis, "node_id": str(node.id)})[0]
updated = hub.update_analysis_node(part.id, execution_status="executing", execution_progress=40)
partners = hub.find_analysis_nodes(filter={"analysis_id": analysis})
logged = hub.create_analysis_node_log(
    analysis_id=analysis, node_id=node.id, level="info", message="epoch 1", status="executing"
)
print(
    json.dumps(
        {
            "part": str(part.id),
            "updated": [updated.execution_status, updated.execution_progress],
            "partners": {str(other.id): other.execution_status for other in partners if other.id != part.id},
            "logged": logged.message,
        }
    )
)
