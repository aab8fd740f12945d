"""One script by boto3 against two gateways; prints what came of each step, side by side."""
import asyncio
import sys

import boto3
import botocore.config
import botocore.exceptions
import websockets

PATIENCE = 30
# A step that may differ, and why.
REASONS = {
    "get": "the offline gateway does not have it; the SDK's model of the answer is what ours is held to",
    "post 200 kB": "Amazon's limit is 128 KB, which the offline gateway does not have",
    "status of a post": "Amazon's is 200, the offline gateway's 204",
    "name of the error": "the offline gateway gives none; Amazon's is GoneException",
    "close code": "tidegate says that it was a policy (1008), the offline gateway says nothing (1005)",
}


def gateway(endpoint):
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    return boto3.client(
        "apigatewaymanagementapi", endpoint_url=endpoint, region_name="local",
        aws_access_key_id="-", aws_secret_access_key="-", config=config)


async def ask(call, **words):
    """Status of the answer, and the error's name or the answer."""
    try:
        answer = await asyncio.to_thread(call, **words)
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


async def story(url, endpoint):
    """What came of each step."""
    aws, told = gateway(endpoint), {}
    read = lambda socket: asyncio.wait_for(socket.recv(), PATIENCE)
    async with websockets.connect(url, max_size=None) as one, websockets.connect(url) as other:
        ids = []
        for socket in (one, other):
            await socket.send("who am I?")
            ids.append(await read(socket))
        told["ids differ"] = ids[0] != ids[1]
        post = lambda data, to=ids[0]: ask(aws.post_to_connection, ConnectionId=to, Data=data)
        told["status of a post"], _ = await post(b"hello")
        told["post"] = await read(one)
        await post("caf\u00e9 \U0001f30a".encode())
        told["post UTF-8"] = await read(one)
        for number in range(20):
            await post(str(number).encode())
        told["twenty in order"] = [await read(one) for _ in range(20)] == [str(n) for n in range(20)]
        await post(b"to the other", ids[1])
        told["post to another"] = await read(other)
        status, answer = await ask(aws.get_connection, ConnectionId=ids[0])
        got = sorted(set(answer) - {"ResponseMetadata"}) if isinstance(answer, dict) else answer
        told["get"] = status, got, isinstance(answer, dict) and answer["Identity"]["SourceIp"]
        status, _ = await post(b"x" * 200_000)
        told["post 200 kB"] = status
        if status in (200, 204):
            await read(one)
        status, _ = await ask(aws.delete_connection, ConnectionId=ids[0])
        told["delete"] = status
        try:
            await read(one)
            told["its client"] = "still reads"
        except websockets.exceptions.ConnectionClosed as closed:
            told["its client"] = "reads a Close"
            told["close code"] = closed.rcvd.code if closed.rcvd else None
        await post(b"still here", ids[1])
        told["the other client"] = await read(other)
        for _ in range(200):
            status, name = await post(b"late")
            if status not in (200, 204):
                break
            await asyncio.sleep(0.05)
        told["post to one that is gone"] = status
        told["name of the error"] = name
        told["delete one that is gone"] = (await ask(aws.delete_connection, ConnectionId=ids[0]))[0]
        told["post to nobody"] = (await post(b"x", "0" * 32))[0]
    return told


async def main():
    offline_url, offline_api, own_url, own_api = sys.argv[1:]
    offline, own = await story(offline_url, offline_api), await story(own_url, own_api)
    failed = False
    for step in own:
        same = offline.get(step) == own[step]
        failed |= not same and step not in REASONS
        why = "" if same else f"  ({REASONS.get(step, 'WITHOUT A REASON')})"
        print(f"{step:26} {offline.get(step)!s:44} {'=' if same else '|'} {own[step]}{why}")
    status, keys, client = own["get"]
    failed |= (status, keys, client) != (200, ["ConnectedAt", "Identity", "LastActiveAt"], "127.0.0.1")
    failed |= own["name of the error"] != "GoneException" or own["post 200 kB"] != 413
    sys.exit("they differ" if failed else 0)


asyncio.run(main())
