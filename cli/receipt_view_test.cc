#include "cli/receipt_view.h"

#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

client::Receipt receipt(std::vector<std::string> functions, bool duplicate = false) {
  return {{{1795482991416, 2}, 7},
          std::make_shared<const std::vector<std::string>>(std::move(functions)),
          duplicate};
}

TEST(ReceiptJson, NamesEveryDelivery) {
  EXPECT_EQ(receipt_json(receipt({"wordcount", "store-form"})),
            R"({"id":"1795482991416-2.7","deliveries":[)"
            R"({"function":"wordcount","id":"1795482991416-2.7"},)"
            R"({"function":"store-form","id":"1795482991416-2.7"}],"unmatched":false})");
}

TEST(ReceiptJson, SaysWhatNobodyWantedAndWhatWasKnown) {
  EXPECT_EQ(receipt_json(receipt({})),
            R"({"id":"1795482991416-2.7","deliveries":[],"unmatched":true})");
  EXPECT_EQ(receipt_json(receipt({}, true)),
            R"({"id":"1795482991416-2.7","deliveries":[],"unmatched":true,"duplicate":true})");
}

TEST(FormatReceipt, SaysInWordsThatNoFunctionSubscribes) {
  const std::string text = format_receipt(receipt({}), "order.placed", false);
  EXPECT_NE(text.find("no function subscribes to 'order.placed'"), std::string::npos);
}

}  // namespace
}  // namespace fanfare::cli
