// gearmand's client, with libgearman: background jobs are added by 500 and run together (at a rate:
// one by one); a call is a foreground job, whose result comes back.
#include <libgearman/gearman.h>

#include "measured.h"

enum { kTogether = 500 };

static int records;

static void* execute(gearman_job_st* job, void* context, size_t* bytes, gearman_return_t* outcome) {
  (void)context;
  char* result = malloc(kResultBytes);
  measured_function(records, gearman_job_workload(job), gearman_job_workload_size(job), result);
  *bytes = kResultBytes;
  *outcome = GEARMAN_SUCCESS;
  return result;
}

static void publish_together(gearman_client_st* client, const struct measured_request* request,
                             int64_t from, int count) {
  static char payloads[kTogether][kPayloadBytes];
  for (int i = 0; i < count; ++i) {
    measured_payload(payloads[i], request->first + from + i, request->pause_us);
    gearman_return_t added;
    gearman_client_add_task_background(client, NULL, NULL, "measured", NULL, payloads[i],
                                       kPayloadBytes, &added);
    if (gearman_failed(added)) measured_fail("add_task", gearman_client_error(client));
  }
  if (gearman_failed(gearman_client_run_tasks(client)))
    measured_fail("run_tasks", gearman_client_error(client));
  gearman_client_task_free_all(client);
}

static void publish(gearman_client_st* client, const struct measured_request* request) {
  const int64_t began_ns = measured_now_ns();
  const int64_t together = request->rate > 0 ? 1 : kTogether;
  for (int64_t done = 0; done < request->count;) {
    measured_pace(began_ns, done, request->rate);
    const int64_t left = request->count - done;
    const int64_t count = left < together ? left : together;
    publish_together(client, request, done, (int)count);
    done += count;
  }
  measured_told(request->count, began_ns, measured_now_ns());
}

static void call(gearman_client_st* client, const struct measured_request* request) {
  const int calls = measured_open(request->records);
  for (int64_t i = 0; i < request->count; ++i) {
    char payload[kPayloadBytes];
    const int64_t stamp_ns = measured_payload(payload, request->first + i, 0);
    size_t bytes;
    gearman_return_t outcome;
    char* result =
        gearman_client_do(client, "measured", NULL, payload, kPayloadBytes, &bytes, &outcome);
    if (gearman_failed(outcome) || bytes != kResultBytes)
      measured_fail("do", gearman_client_error(client));
    measured_append(calls, request->first + i, measured_now_ns(), stamp_ns);
    free(result);
  }
}

static void work(const char* host, in_port_t port, const char* file) {
  records = measured_open(file);
  gearman_worker_st* worker = gearman_worker_create(NULL);
  gearman_worker_add_server(worker, host, port);
  gearman_worker_add_function(worker, "measured", 0, execute, NULL);
  while (gearman_success(gearman_worker_work(worker))) {
  }
  measured_fail("work", gearman_worker_error(worker));
}

int main(int argc, char** argv) {
  const struct measured_request request = measured_arguments(argc, argv);
  const in_port_t port = (in_port_t)atoi(request.address);
  if (strcmp(request.verb, "work") == 0) work("127.0.0.1", port, request.records);
  gearman_client_st* client = gearman_client_create(NULL);
  gearman_client_add_server(client, "127.0.0.1", port);
  if (strcmp(request.verb, "publish") == 0) {
    publish(client, &request);
  } else {
    call(client, &request);
  }
  gearman_client_free(client);
}
