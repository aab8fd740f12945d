"""Reads the manifests strictly, and holds them against Kubernetes' schemas."""

import re
import sys

import kubernetes_validate

from strict_yaml import documents

MANIFESTS = ["config/kubernetes/tidegate.yaml", "config/kubernetes/app.yaml"]
# `preStop.sleep` needs 1.30.
VERSIONS = ["1.30", "1.33"]


def check_schemas():
    checked = 0
    for path in MANIFESTS:
        for document in documents(path):
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
                checked += 1
    return checked


def check_references():
    """Names within the manifests lead to something, and the image has what is mounted over."""
    found = {(d["kind"], d["metadata"]["name"]): d for path in MANIFESTS for d in documents(path)}
    pod = found["Deployment", "tidegate"]["spec"]["template"]
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert ("ConfigMap", spec["volumes"][0]["configMap"]["name"]) in found
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    for (kind, _), document in found.items():
        if kind == "Service":
            labels = found["Deployment", document["metadata"]["name"]]["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"].items() <= labels.items()
    toml = found["ConfigMap", "tidegate"]["data"]["tidegate.toml"]
    listened = {int(port) for port in re.findall(r'^address = ".*:(\d+)"', toml, re.M)}
    assert listened == set(ports.values()), (listened, ports)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for file in re.findall(r'"(/etc/[^"]+)"', toml):
        assert file.rsplit("/", 1)[0] in mounts, file
    with open("Dockerfile", encoding="utf-8") as file:
        image = file.read()
    user = spec["securityContext"]["runAsUser"]
    assert f"USER {user}:" in image and "/run/tidegate" in image, user
    # SIGTERM has the time that a drain takes.
    assert spec["terminationGracePeriodSeconds"] > 25


print(f"{check_schemas()} documents fit their schemas")
check_references()
print("what the manifests refer to is there")
documents("config/compose/compose.yaml")
sys.exit(0)
