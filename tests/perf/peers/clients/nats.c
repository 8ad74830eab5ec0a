// NATS' client, with the C library. Address: PORT:STORAGE, or PORT:STORAGE:prompt.
//
// JetStream: a work-queue stream; publishing keeps up to 4,096 events unacknowledged; workers pull
// up to 256 at a time from one durable consumer and acknowledge each, without waiting for an answer
// to that. `prompt` is for measures of latency: the consumer pushes to a queue group, and what is
// sent is sent at once, not by the library's flushing thread. Calls are core NATS requests, which
// have no storage.
#include <nats/nats.h>

#include "measured.h"

enum { kUnacknowledged = 4096, kFetch = 256 };

static int records;

static void must(natsStatus status, const char* what) {
  if (status != NATS_OK)
    measured_fail(what, nats_GetLastError(NULL) ? nats_GetLastError(NULL) : "");
}

static natsConnection* connect_to(const char* address) {
  char url[64];
  snprintf(url, sizeof url, "nats://127.0.0.1:%d", atoi(address));
  natsOptions* options;
  must(natsOptions_Create(&options), "options");
  must(natsOptions_SetURL(options, url), "url");
  // A killed server comes back: workers wait for it, and try again every 50 ms.
  must(natsOptions_SetMaxReconnect(options, 1000), "options");
  must(natsOptions_SetReconnectWait(options, 50), "options");
  must(natsOptions_SetSendAsap(options, strstr(address, ":prompt") != NULL), "options");
  natsConnection* connection;
  must(natsConnection_Connect(&connection, options), "connect");
  natsOptions_Destroy(options);
  return connection;
}

static jsCtx* stream_of(natsConnection* connection, const char* address) {
  jsOptions options;
  jsOptions_Init(&options);
  options.PublishAsync.MaxPending = kUnacknowledged;
  options.PublishAsync.StallWait = 20000;
  jsCtx* stream;
  must(natsConnection_JetStream(&stream, connection, &options), "jetstream");
  const char* subjects[] = {"measured.event"};
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  config.Name = "measured";
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  config.Retention = js_WorkQueuePolicy;
  config.Storage = strstr(address, ":memory") ? js_MemoryStorage : js_FileStorage;
  // Publisher and worker come at the same time: whoever is second is refused, and finds the stream.
  natsStatus made = NATS_ERR;
  for (int tries = 0; made != NATS_OK && tries < 50; ++tries) {
    if (tries > 0) nats_Sleep(20);
    jsErrCode code = 0;
    made = js_AddStream(NULL, stream, &config, NULL, &code);
  }
  must(made, "stream");
  return stream;
}

static void publish(jsCtx* stream, const struct measured_request* request) {
  const int64_t began_ns = measured_now_ns();
  for (int64_t i = 0; i < request->count; ++i) {
    char payload[kPayloadBytes];
    measured_pace(began_ns, i, request->rate);
    measured_payload(payload, request->first + i, request->pause_us);
    must(js_PublishAsync(stream, "measured.event", payload, kPayloadBytes, NULL), "publish");
  }
  must(js_PublishAsyncComplete(stream, NULL), "acknowledgements");
  natsMsgList missing = {NULL, 0};
  if (js_PublishAsyncGetPendingList(&missing, stream) == NATS_OK && missing.Count > 0)
    measured_fail("publish", "some events were not acknowledged");
  measured_told(request->count, began_ns, measured_now_ns());
}

static void answer(natsConnection* connection, natsSubscription* calls, natsMsg* message,
                   void* context) {
  (void)calls;
  (void)context;
  char result[kResultBytes];
  measured_function(records, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message),
                    result);
  natsConnection_Publish(connection, natsMsg_GetReply(message), result, kResultBytes);
  natsMsg_Destroy(message);
}

static void execute(natsMsg* message) {
  char result[kResultBytes];
  measured_function(records, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message),
                    result);
  natsMsg_Ack(message, NULL);
}

static void take_pushed(jsCtx* stream, jsSubOptions* options) {
  options->Queue = "workers";
  natsSubscription* events;
  must(js_SubscribeSync(&events, stream, "measured.event", NULL, options, NULL), "subscription");
  for (;;) {
    natsMsg* message;
    if (natsSubscription_NextMsg(&message, events, 2000) != NATS_OK) continue;
    execute(message);
    natsMsg_Destroy(message);
  }
}

static void pull(jsCtx* stream, jsSubOptions* options) {
  natsSubscription* events;
  must(js_PullSubscribe(&events, stream, "measured.event", "workers", NULL, options, NULL),
       "pull subscription");
  for (;;) {
    natsMsgList batch;
    const natsStatus fetched = natsSubscription_Fetch(&batch, events, kFetch, 2000, NULL);
    // Nothing came, or the server is away: the connection is made again behind our back.
    if (fetched != NATS_OK) {
      if (fetched != NATS_TIMEOUT) nats_Sleep(20);
      continue;
    }
    for (int i = 0; i < batch.Count; ++i) execute(batch.Msgs[i]);
    natsMsgList_Destroy(&batch);
  }
}

static void work(natsConnection* connection, jsCtx* stream, int prompt) {
  natsSubscription* calls;
  must(natsConnection_QueueSubscribe(&calls, connection, "measured.call", "workers", answer, NULL),
       "subscribe");
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Config.AckPolicy = js_AckExplicit;
  options.Config.AckWait = INT64_C(5000000000);
  options.Config.MaxAckPending = 20000;
  if (prompt) take_pushed(stream, &options);
  pull(stream, &options);
}

static void call(natsConnection* connection, const struct measured_request* request) {
  const int calls = measured_open(request->records);
  for (int64_t i = 0; i < request->count; ++i) {
    char payload[kPayloadBytes];
    const int64_t stamp_ns = measured_payload(payload, request->first + i, 0);
    natsMsg* reply;
    must(natsConnection_Request(&reply, connection, "measured.call", payload, kPayloadBytes, 5000),
         "request");
    measured_append(calls, request->first + i, measured_now_ns(), stamp_ns);
    natsMsg_Destroy(reply);
  }
}

int main(int argc, char** argv) {
  const struct measured_request request = measured_arguments(argc, argv);
  natsConnection* connection = connect_to(request.address);
  jsCtx* stream = stream_of(connection, request.address);
  if (strcmp(request.verb, "publish") == 0) {
    publish(stream, &request);
  } else if (strcmp(request.verb, "work") == 0) {
    records = measured_open(request.records);
    work(connection, stream, strstr(request.address, ":prompt") != NULL);
  } else {
    call(connection, &request);
  }
  // The process' end closes what is open; destroying it takes longer.
  return 0;
}
