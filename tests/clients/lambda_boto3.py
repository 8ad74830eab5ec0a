#!/usr/bin/python3
"""lambda_boto3.py URL: calls functions as any program of boto3's does; ends with an AssertionError if an answer differs

The functions calls, chatty and crash of the tests are deployed there.
"""
import base64, json, sys
import boto3
from botocore.config import Config

lambda_ = boto3.client("lambda", endpoint_url=sys.argv[1], region_name="eu-north-1", aws_access_key_id="any",
                       aws_secret_access_key="thing", config=Config(retries={"total_max_attempts": 1}))

# RequestResponse
answer = lambda_.invoke(FunctionName="calls", Payload=b"echo hello")
assert answer["StatusCode"] == 200 and "FunctionError" not in answer, answer
assert answer["ExecutedVersion"] == "$LATEST", answer
assert answer["Payload"].read() == b"hello"
by_arn = "arn:aws:lambda:eu-north-1:123456789012:function:calls"
assert lambda_.invoke(FunctionName=by_arn, Payload=b"echo x")["Payload"].read() == b"x"
assert lambda_.invoke(FunctionName="calls", Qualifier="$LATEST", Payload=b"echo x")["StatusCode"] == 200

# The log's tail
answer = lambda_.invoke(FunctionName="chatty", LogType="Tail", Payload=b"say this")
assert "printf say this" in base64.b64decode(answer["LogResult"]).decode(), answer

# What the function fails with
answer = lambda_.invoke(FunctionName="crash", Payload=b"exit 3")
assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled", answer
error = json.loads(answer["Payload"].read())
assert error["errorType"] and error["errorMessage"], error

# Event, DryRun
answer = lambda_.invoke(FunctionName="calls", InvocationType="Event", Payload=b"echo later")
assert answer["StatusCode"] == 202, answer
print(answer["ResponseMetadata"]["RequestId"])
assert lambda_.invoke(FunctionName="calls", InvocationType="DryRun")["StatusCode"] == 204

# Typed exceptions
for kind in "RequestResponse", "Event", "DryRun":
    try:
        lambda_.invoke(FunctionName="nobody", InvocationType=kind)
        raise AssertionError(kind)
    except lambda_.exceptions.ResourceNotFoundException as e:
        assert "nobody" in str(e), e
try:
    lambda_.invoke(FunctionName="calls", Qualifier="7")
    raise AssertionError("another version")
except lambda_.exceptions.ResourceNotFoundException:
    pass
try:
    lambda_.invoke(FunctionName="calls", Payload=b"x" * (7 << 20))
    raise AssertionError("too large")
except lambda_.exceptions.RequestTooLargeException as e:
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 413, e
