// RabbitMQ's client, with librabbitmq: a durable classic queue, persistent messages, confirms with
// up to 2,000 outstanding; workers prefetch 200 and acknowledge up to 50 with one frame when more
// have come. A call is a message whose reply comes by `amq.rabbitmq.reply-to`, to a queue of calls
// that is not durable. Address: PORT.
#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "measured.h"

enum { kUnconfirmed = 2000, kPrefetch = 200, kAcknowledge = 50, kEvents = 1, kCalls = 2 };

static amqp_connection_state_t server;

static void must(const char* what) {
  const amqp_rpc_reply_t reply = amqp_get_rpc_reply(server);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL)
    measured_fail(what, "refused, or the server has gone");
}

static void must_send(int status, const char* what) {
  if (status != AMQP_STATUS_OK) measured_fail(what, amqp_error_string2(status));
}

static amqp_bytes_t bytes_of(const char* text) {
  return amqp_cstring_bytes(text);
}

static void open_channel(amqp_channel_t channel) {
  amqp_channel_open(server, channel);
  must("channel");
}

static void connect_to(int port) {
  server = amqp_new_connection();
  amqp_socket_t* socket = amqp_tcp_socket_new(server);
  must_send(amqp_socket_open(socket, "127.0.0.1", port), "connect");
  const amqp_rpc_reply_t login = amqp_login(server, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                            AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  if (login.reply_type != AMQP_RESPONSE_NORMAL) measured_fail("login", "refused");
  open_channel(kEvents);
  open_channel(kCalls);
  amqp_queue_declare(server, kEvents, bytes_of("measured"), 0, 1, 0, 0, amqp_empty_table);
  must("queue");
  amqp_queue_declare(server, kCalls, bytes_of("calls"), 0, 0, 0, 0, amqp_empty_table);
  must("queue of calls");
}

// Which messages are confirmed: one by one in any order, or all up to a tag.
struct confirms {
  char* seen;  // by tag, from 1
  int64_t all_up_to, count;
};

static void confirm(struct confirms* confirms, const amqp_basic_ack_t* ack) {
  const int64_t tag = (int64_t)ack->delivery_tag;
  for (int64_t one = ack->multiple ? confirms->all_up_to + 1 : tag; one <= tag; ++one) {
    confirms->count += !confirms->seen[one];
    confirms->seen[one] = 1;
  }
  if (ack->multiple && tag > confirms->all_up_to) confirms->all_up_to = tag;
}

// Takes what has come; waits at most so long for something, for ever if `at_most` is null.
static void receive_confirms(struct confirms* confirms, const struct timeval* at_most) {
  struct timeval none = {0, 0};
  for (;; at_most = &none) {
    amqp_frame_t frame;
    const int status = amqp_simple_wait_frame_noblock(server, &frame, at_most);
    if (status == AMQP_STATUS_TIMEOUT) return;
    must_send(status, "confirms");
    if (frame.frame_type != AMQP_FRAME_METHOD) continue;
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) measured_fail("publish", "not confirmed");
    confirm(confirms, frame.payload.method.decoded);
  }
}

static void publish(const struct measured_request* request) {
  amqp_confirm_select(server, kEvents);
  must("confirms");
  amqp_basic_properties_t persistent = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                        .delivery_mode = 2};
  struct confirms confirms = {calloc((size_t)request->count + 1, 1), 0, 0};
  const int64_t began_ns = measured_now_ns();
  for (int64_t sent = 0; confirms.count < request->count;) {
    int64_t wait_us = -1;  // for a confirm
    while (sent < request->count && sent - confirms.count < kUnconfirmed) {
      const int64_t due_ns = request->rate > 0 ? began_ns + sent * 1000000000 / request->rate : 0;
      wait_us = (due_ns - measured_now_ns()) / 1000;
      if (wait_us > 0) break;
      char payload[kPayloadBytes];
      measured_payload(payload, request->first + sent, request->pause_us);
      must_send(amqp_basic_publish(server, kEvents, amqp_empty_bytes, bytes_of("measured"), 0, 0,
                                   &persistent, (amqp_bytes_t){kPayloadBytes, payload}),
                "publish");
      wait_us = 0;
      if (++sent % 100 == 0) break;
    }
    const int full = sent == request->count || sent - confirms.count >= kUnconfirmed;
    const struct timeval wait = {wait_us > 0 ? wait_us / 1000000 : 0,
                                 wait_us > 0 ? wait_us % 1000000 : 0};
    receive_confirms(&confirms, full ? NULL : &wait);
    amqp_maybe_release_buffers(server);
  }
  measured_told(confirms.count, began_ns, measured_now_ns());
}

static void reply_to(const amqp_envelope_t* envelope, const char* result) {
  amqp_basic_properties_t plain = {._flags = 0};
  must_send(
      amqp_basic_publish(server, kCalls, amqp_empty_bytes, envelope->message.properties.reply_to, 0,
                         0, &plain, (amqp_bytes_t){kResultBytes, (void*)result}),
      "reply");
}

static void work(const char* file) {
  const int records = measured_open(file);
  amqp_basic_qos(server, kEvents, 0, kPrefetch, 0);
  must("prefetch");
  amqp_basic_consume(server, kEvents, bytes_of("measured"), amqp_empty_bytes, 0, 0, 0,
                     amqp_empty_table);
  must("consume");
  amqp_basic_consume(server, kCalls, bytes_of("calls"), amqp_empty_bytes, 0, 1, 0,
                     amqp_empty_table);
  must("consume calls");
  for (int unacknowledged = 0;;) {
    amqp_maybe_release_buffers(server);
    amqp_envelope_t envelope;
    const amqp_rpc_reply_t got = amqp_consume_message(server, &envelope, NULL, 0);
    if (got.reply_type != AMQP_RESPONSE_NORMAL) measured_fail("consume", "the server has gone");
    char result[kResultBytes];
    measured_function(records, envelope.message.body.bytes, envelope.message.body.len, result);
    if (envelope.channel == kCalls) {
      reply_to(&envelope, result);
    } else if (++unacknowledged == kAcknowledge ||
               (!amqp_frames_enqueued(server) && !amqp_data_in_buffer(server))) {
      must_send(amqp_basic_ack(server, kEvents, envelope.delivery_tag, 1), "acknowledge");
      unacknowledged = 0;
    }
    amqp_destroy_envelope(&envelope);
  }
}

static void call(const struct measured_request* request) {
  const int calls = measured_open(request->records);
  amqp_basic_consume(server, kCalls, bytes_of("amq.rabbitmq.reply-to"), amqp_empty_bytes, 0, 1, 0,
                     amqp_empty_table);
  must("replies");
  amqp_basic_properties_t asks = {._flags = AMQP_BASIC_REPLY_TO_FLAG,
                                  .reply_to = bytes_of("amq.rabbitmq.reply-to")};
  for (int64_t i = 0; i < request->count; ++i) {
    char payload[kPayloadBytes];
    const int64_t stamp_ns = measured_payload(payload, request->first + i, 0);
    must_send(amqp_basic_publish(server, kCalls, amqp_empty_bytes, bytes_of("calls"), 0, 0, &asks,
                                 (amqp_bytes_t){kPayloadBytes, payload}),
              "call");
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(server);
    const amqp_rpc_reply_t got = amqp_consume_message(server, &envelope, NULL, 0);
    if (got.reply_type != AMQP_RESPONSE_NORMAL) measured_fail("call", "no reply");
    measured_append(calls, request->first + i, measured_now_ns(), stamp_ns);
    amqp_destroy_envelope(&envelope);
  }
}

int main(int argc, char** argv) {
  const struct measured_request request = measured_arguments(argc, argv);
  connect_to(atoi(request.address));
  if (strcmp(request.verb, "publish") == 0) {
    publish(&request);
  } else if (strcmp(request.verb, "work") == 0) {
    work(request.records);
  } else {
    call(&request);
  }
  return 0;
}
