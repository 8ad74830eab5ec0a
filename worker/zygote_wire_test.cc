#include "worker/zygote_wire.h"

#include <gtest/gtest.h>

namespace fanfare::worker {
namespace {

StartRequest sample() {
  return {.worker = 42,
          .function = "resize",
          .handler = "/functions/resize/resize.so",
          .env = {{"KEY", "value"}, {"EMPTY", ""}},
          .data_bytes_max = 1ull << 40,
          .result_bytes_max = 7,
          .uid = 65534,
          .gid = 65533,
          .enters_cgroups = 1};
}

TEST(ZygoteWire, CarriesAStartRequest) {
  const auto request = decode_start(encode(sample()));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->worker, 42);
  EXPECT_EQ(request->function, "resize");
  EXPECT_EQ(request->handler, "/functions/resize/resize.so");
  EXPECT_EQ(request->env, sample().env);
  EXPECT_EQ(request->data_bytes_max, 1ull << 40);
  EXPECT_EQ(request->result_bytes_max, 7u);
  EXPECT_EQ(request->uid, 65534u);
  EXPECT_EQ(request->gid, 65533u);
  EXPECT_EQ(request->enters_cgroups, 1u);
}

TEST(ZygoteWire, CarriesForksAndReplies) {
  EXPECT_EQ(decode_fork(encode(ForkRequest{.ticket = 77}))->ticket, 77u);
  const auto reply = decode_reply(encode(ZygoteReply{.kind = ZygoteReply::Kind::kInitFailed,
                                                     .ticket = 1,
                                                     .number = -5,
                                                     .type = "Type",
                                                     .message = "message"}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->kind, ZygoteReply::Kind::kInitFailed);
  EXPECT_EQ(reply->number, -5);
  EXPECT_EQ(reply->message, "message");
}

TEST(ZygoteWire, RejectsMessagesThatAreCutOffOrTooLong) {
  const std::string bytes = encode(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_start(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_start(bytes + "x"));
  EXPECT_FALSE(decode_fork(""));
  EXPECT_FALSE(decode_reply(encode(ZygoteReply{.kind = ZygoteReply::Kind(9)})));
}

}  // namespace
}  // namespace fanfare::worker
