#include "mcp/session.hpp"

#include "mcp/harness.hpp"

#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>

#include <stdexcept>

namespace awm::mcp::testing {
namespace {

using namespace std::string_literals;

json text_of(const json& answer) {
  return answer.at("result").at("content").at(0).at("text");
}

// ---- lifecycle ----

TEST(session, initialize_settles_the_version_and_introduces_the_server) {
  harness h;
  h.start();
  const json answer = h.answer_to(harness::ask("init", "initialize", {{"protocolVersion", "2025-06-18"}}));
  EXPECT_EQ(answer, json::parse(R"({"jsonrpc":"2.0","id":"init","result":{"protocolVersion":"2025-06-18",
    "capabilities":{"tools":{"listChanged":true},"logging":{}},"serverInfo":{"name":"probe","version":"1.2.3","title":"Probe"},
    "instructions":"Use it well."}})"));
}

TEST(session, initialize_answers_an_unknown_version_with_the_latest) {
  harness h;
  h.start();
  EXPECT_EQ(h.answer_to(harness::ask(1, "initialize", {{"protocolVersion", "2099-01-01"}}))
                .at("result")
                .at("protocolVersion"),
            "2025-11-25");
}

TEST(session, initialize_without_a_version_is_bad_params) {
  harness h;
  h.start();
  EXPECT_EQ(h.error_code_for(harness::ask(1, "initialize")), -32602);
  EXPECT_EQ(h.error_code_for(harness::ask(2, "initialize", {{"protocolVersion", 1}})), -32602);
}

TEST(session, before_initialize_only_ping_is_answered) {
  harness h;
  h.start();
  EXPECT_EQ(h.answer_to(harness::ask(1, "ping")).at("result"), json::object());
  EXPECT_EQ(h.error_code_for(harness::ask(2, "tools/list")), -32600);
  EXPECT_EQ(h.error_code_for(harness::call(3, "echo")), -32600);
  EXPECT_EQ(h.error_code_for(harness::ask(4, "logging/setLevel", {{"level", "info"}})), -32600);
}

TEST(session, unknown_methods_are_refused_and_unknown_notifications_ignored) {
  harness h;
  h.open();
  EXPECT_EQ(h.error_code_for(harness::ask(1, "resources/lists")), -32601);
  h.send({{"jsonrpc", "2.0"}, {"method", "notifications/unheard_of"}});
  h.send({{"jsonrpc", "2.0"}, {"method", "notifications/unheard_of"}, {"params", 5}});
  h.send({{"jsonrpc", "2.0"}, {"id", 9}, {"result", json::object()}});
  EXPECT_TRUE(h.received().empty());
}

// ---- bad input ----

TEST(session, what_is_no_message_is_answered_with_the_specified_error_and_the_next_is_served) {
  harness h;
  h.open();
  const std::vector<std::pair<std::string, int>> cases{{"{\"jsonrpc\"", -32700},
                                                       {"\xff\xfe", -32700},
                                                       {"42", -32600},
                                                       {R"({"jsonrpc":"2.0","id":null,"method":"ping"})", -32600},
                                                       {R"({"jsonrpc":"2.0","id":{},"method":"ping"})", -32600},
                                                       {std::string(100'000, '['), -32600},
                                                       {"[]", -32600}};
  for (const auto& [line, code] : cases) {
    h.send_text(line + "\n");
    const json answer = h.answer();
    EXPECT_EQ(answer.at("error").at("code"), code) << line.substr(0, 80);
    EXPECT_TRUE(answer.at("id").is_null()) << line.substr(0, 80);
    EXPECT_TRUE(h.answer_to(harness::ask("next", "ping")).contains("result"));
  }
}

TEST(session, an_invalid_request_with_a_known_id_is_answered_with_it) {
  harness h;
  h.open();
  h.send_text(R"({"jsonrpc":"2.0","id":5,"method":7})"s + "\n");
  EXPECT_EQ(h.answer().at("id"), 5);
  h.send_text(R"({"jsonrpc":"2.0","id":6,"method":"ping","params":[]})"s + "\n");
  const json answer = h.answer();
  EXPECT_EQ(answer.at("id"), 6);
  EXPECT_EQ(answer.at("error").at("code"), -32602);
}

TEST(session, blank_lines_and_carriage_returns_are_no_messages) {
  harness h;
  h.open();
  h.send_text("\n  \t\r\n\r\n" + harness::ask(1, "ping").dump() + "\r\n");
  EXPECT_EQ(h.answer().at("id"), 1);
}

TEST(session, a_message_of_sixteen_mebibytes_is_taken) {
  harness h;
  h.open();
  h.send_text(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":")" + std::string(16UL << 20, 'x') + "\"}}\n");
  EXPECT_EQ(h.answer().at("id"), 1);
}

// ---- tools ----

TEST(session, lists_its_tools_in_one_page) {
  gated_harness h;
  h.open();
  const json tools = h.answer_to(harness::ask(1, "tools/list")).at("result").at("tools");
  ASSERT_EQ(tools.size(), 2U);
  EXPECT_EQ(tools[1].at("name"), "echo");
  EXPECT_EQ(h.error_code_for(harness::ask(2, "tools/list", {{"cursor", "x"}})), -32602);
}

TEST(session, a_call_answers_with_structured_content_and_its_text) {
  gated_harness h;
  h.open();
  const json answer = h.answer_to(harness::call(5, "echo", {{"a", 1}}));
  EXPECT_EQ(answer, json::parse(R"({"jsonrpc":"2.0","id":5,"result":{"structuredContent":{"a":1},
    "content":[{"type":"text","text":"{\"a\":1}"}]}})"));
}

TEST(session, an_old_client_gets_the_text_only) {
  gated_harness h;
  h.open("2024-11-05");
  EXPECT_FALSE(h.answer_to(harness::call(5, "echo", {{"a", 1}})).at("result").contains("structuredContent"));
}

TEST(session, missing_arguments_are_an_empty_object) {
  gated_harness h;
  h.open();
  EXPECT_EQ(text_of(h.answer_to(harness::ask(1, "tools/call", {{"name", "echo"}}))), "{}");
  EXPECT_EQ(text_of(h.answer_to(harness::ask(2, "tools/call", {{"name", "echo"}, {"arguments", nullptr}}))), "{}");
}

TEST(session, a_malformed_call_is_bad_params) {
  gated_harness h;
  h.open();
  EXPECT_EQ(h.error_code_for(harness::ask(1, "tools/call")), -32602);
  EXPECT_EQ(h.error_code_for(harness::ask(2, "tools/call", {{"name", 5}})), -32602);
  EXPECT_EQ(h.error_code_for(harness::ask(3, "tools/call", {{"name", "echo"}, {"arguments", "{}"}})), -32602);
  EXPECT_EQ(h.error_code_for(harness::call(4, "echo", json::object(), json::array())), -32602);
}

TEST(session, an_unknown_tool_is_bad_params_and_names_the_nearest) {
  gated_harness h;
  h.open();
  const json error = h.answer_to(harness::call(1, "ehco")).at("error");
  EXPECT_EQ(error.at("code"), -32602);
  EXPECT_EQ(error.at("message"), "Unknown tool: ehco; did you mean echo? Known: gate, echo");
}

TEST(session, arguments_that_break_the_published_schema_are_an_error_result) {
  harness h;
  int called = 0;
  tool t;
  t.name = "strict";
  t.input_schema =
      json::parse(R"({"type":"object","required":["n"],"properties":{"n":{"type":"integer","maximum":9}}})");
  t.handler = [&called](json, request_context&) -> asio::awaitable<tool_result> {
    ++called;
    co_return tool_result::text("fine");
  };
  h.offer.add(t);
  h.open();
  const json answer = h.answer_to(harness::call(1, "strict", {{"n", 10}}));
  EXPECT_EQ(answer.at("result").at("isError"), true);
  EXPECT_EQ(text_of(answer), "Invalid arguments for strict: n is 10, but must be an integer of at most 9");
  EXPECT_EQ(called, 0);
  EXPECT_EQ(text_of(h.answer_to(harness::call(2, "strict", {{"n", 9}}))), "fine");
}

TEST(session, what_a_handler_throws_is_an_error_result) {
  harness h;
  tool at_once, later, odd;
  at_once.name = "at_once";
  at_once.handler = [](json, request_context&) -> asio::awaitable<tool_result> {
    throw std::runtime_error("too early");
  };
  later.name = "later";
  later.handler = [](json, request_context&) -> asio::awaitable<tool_result> {
    co_await asio::post(asio::use_awaitable);
    throw std::runtime_error("too late");
  };
  odd.name = "odd";
  odd.handler = [](json, request_context&) -> asio::awaitable<tool_result> {
    throw 42;
    co_return tool_result{};
  };
  for (const tool& each : {at_once, later, odd}) h.offer.add(each);
  h.open();
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"at_once", "too early"}, {"later", "too late"}, {"odd", "odd failed for an unknown reason"}}) {
    const json answer = h.answer_to(harness::call(1, name));
    EXPECT_EQ(answer.at("result").at("isError"), true);
    EXPECT_EQ(text_of(answer), text);
  }
}

TEST(session, an_aborted_operation_of_a_call_that_nobody_cancelled_is_an_error_result) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  auto other = std::make_unique<coro::event>(h.context.get_executor());
  tool t;
  t.name = "aborts";
  t.handler = [&other](json, request_context&) -> asio::awaitable<tool_result> {
    co_await other->async_wait(asio::use_awaitable);
    co_return tool_result{};
  };
  h.offer.add(t);
  h.received();  // notifications/tools/list_changed
  h.send(harness::call(2, "aborts"));
  other.reset();
  EXPECT_EQ(h.answer().at("result").at("isError"), true);
}

TEST(session, a_handler_knows_its_client) {
  harness h;
  json seen;
  tool t;
  t.name = "who";
  t.handler = [&seen](json, request_context& call) -> asio::awaitable<tool_result> {
    seen = {call.caller().implementation.value("name", ""), call.caller().capabilities.contains("roots"),
            to_string(call.dialect().version), call.wants_progress()};
    co_return tool_result::text("");
  };
  h.offer.add(t);
  h.open("2025-06-18");
  h.send(harness::call(1, "who"));
  EXPECT_EQ(seen, json({"tester", true, "2025-06-18", false}));
  h.send(harness::call(2, "who", json::object(), "token"));
  EXPECT_EQ(seen.back(), true);
}

// ---- concurrency ----

TEST(session, a_call_in_flight_blocks_nothing) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.send(harness::call(2, "gate"));
  EXPECT_EQ(h.answer_to(harness::ask(3, "ping")).at("id"), 3);
  EXPECT_EQ(h.answer_to(harness::call(4, "echo")).at("id"), 4);
  EXPECT_EQ(h.door.started, 2);
  h.door.opened.set();
  const auto answers = h.received();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].at("id"), 1);
  EXPECT_EQ(answers[1].at("id"), 2);
}

TEST(session, an_id_in_flight_is_refused_without_disturbing_the_request_that_has_it) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  for (const json& again : {harness::call(1, "gate"), harness::ask(1, "ping")}) {
    const json answer = h.answer_to(again);
    EXPECT_EQ(answer.at("error").at("code"), -32600);
    EXPECT_TRUE(answer.at("id").is_null());
  }
  EXPECT_EQ(h.door.started, 1);
  EXPECT_EQ(h.answer_to(harness::ask("1", "ping")).at("id"), "1");  // another id
  h.door.opened.set();
  EXPECT_TRUE(h.answer().contains("result"));
  EXPECT_EQ(h.answer_to(harness::ask(1, "ping")).at("id"), 1);  // free again
}

TEST(session, several_messages_leave_in_one_write) {
  struct counting final : transport {
    explicit counting(memory_transport& real) : below(real) {}
    asio::awaitable<io_result> read_some(asio::mutable_buffer buffer) override { return below.read_some(buffer); }
    asio::awaitable<io_result> write(std::string_view bytes) override {
      ++writes;
      return below.write(bytes);
    }
    memory_transport& below;
    int writes = 0;
  };
  gated_harness h;
  counting counted(h.stream);
  h.talk = std::make_unique<session>(counted, h.offer);
  h.open();
  const int before = counted.writes;
  std::string burst;
  for (int i = 0; i < 100; ++i) burst += harness::ask(i, "ping").dump() + "\n";
  h.send_text(burst);
  EXPECT_EQ(h.received().size(), 100U);
  EXPECT_EQ(counted.writes - before, 1);
}

// ---- cancellation and receipts ----

TEST(receipt_of_a_response, says_written_once_its_bytes_are_written) {
  gated_harness h;
  h.open();
  h.output->set_capacity(10);
  h.send(harness::call(1, "echo"));
  EXPECT_TRUE(h.echo_receipts.empty());  // ten bytes of it are through
  EXPECT_EQ(h.output->take().size(), 10U);
  h.settle();
  EXPECT_TRUE(h.echo_receipts.empty());
  h.output->set_capacity(1000);
  h.settle();
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::written});
}

TEST(cancelled, a_running_call_is_stopped_and_never_answered) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate", json::object(), 1));
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.door.stopped, 1);
  h.door.opened.set();
  EXPECT_TRUE(h.received().empty());
  EXPECT_TRUE(h.door.receipts.empty());
  EXPECT_EQ(h.answer_to(harness::ask(1, "ping")).at("id"), 1);  // the id is free again
}

TEST(cancelled, only_the_call_that_is_meant_stops) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.send(harness::call("1", "gate"));
  h.send(harness::cancelled("1"));
  h.door.opened.set();
  EXPECT_EQ(h.answer().at("id"), 1);
}

TEST(cancelled, a_handler_that_does_not_react_is_not_answered_either) {
  gated_harness h;
  deliveries receipts;
  coro::event release(h.context.get_executor());
  tool t;
  t.name = "stubborn";
  t.handler = [&](json, request_context& call) -> asio::awaitable<tool_result> {
    asio::cancellation_signal never;
    auto token = asio::bind_cancellation_slot(never.slot(), asio::use_awaitable);
    co_await release.async_wait(std::move(token));
    call.progress(1, {}, "still here");
    call.log(log_level::error, "t", "still here");
    tool_result out = tool_result::text("too late");
    out.settled = [&receipts](delivery what) { receipts.push_back(what); };
    co_return out;
  };
  h.offer.add(t);
  h.open();
  h.send(harness::call(1, "stubborn", json::object(), "token"));
  h.send(harness::cancelled(1));
  release.set();
  EXPECT_TRUE(h.received().empty());
  EXPECT_EQ(receipts, deliveries{delivery::dropped});
}

TEST(cancelled, a_handler_that_throws_after_making_its_result_settles_the_receipt_once) {
  harness h;
  deliveries receipts;
  tool t;
  t.name = "fickle";
  t.handler = [&receipts](json, request_context&) -> asio::awaitable<tool_result> {
    tool_result out = tool_result::text("never");
    out.settled = [&receipts](delivery what) { receipts.push_back(what); };
    throw std::runtime_error("changed my mind");
    co_return out;
  };
  h.offer.add(t);
  h.open();
  EXPECT_EQ(text_of(h.answer_to(harness::call(1, "fickle"))), "changed my mind");
  EXPECT_EQ(receipts, deliveries{delivery::dropped});
}

TEST(cancelled, a_response_that_waits_is_withdrawn) {
  gated_harness h;
  h.open();
  h.output->set_capacity(0);
  h.send(harness::ask(1, "ping"));  // being written, and stuck
  h.send(harness::call(2, "echo"));
  h.send(harness::call(3, "echo"));
  EXPECT_TRUE(h.echo_receipts.empty());
  h.send(harness::cancelled(2));
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::dropped});
  h.output->set_capacity(100'000);
  const auto answers = h.received();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].at("id"), 1);
  EXPECT_EQ(answers[1].at("id"), 3);
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::dropped, delivery::written}));
}

TEST(cancelled, an_id_whose_response_waits_is_still_in_flight) {
  gated_harness h;
  h.open();
  h.output->set_capacity(0);
  h.send(harness::ask(1, "ping"));
  h.send(harness::call(2, "echo"));
  h.send(harness::call(2, "echo"));
  h.output->set_capacity(100'000);
  const auto answers = h.received();
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[2].at("error").at("code"), -32600);
}

TEST(cancelled, a_response_that_is_being_written_is_written_to_its_end_and_not_delivered) {
  gated_harness h;
  h.open();
  h.output->set_capacity(10);
  h.send(harness::call(1, "echo"));
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::dropped});
  h.output->set_capacity(1000);
  EXPECT_EQ(h.answer().at("id"), 1);
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::dropped});
}

TEST(cancelled, a_response_that_was_written_is_revoked_once) {
  gated_harness h;
  h.open();
  h.send_text(harness::call(1, "echo").dump() + "\n" + harness::call(2, "echo").dump() + "\n");
  EXPECT_EQ(h.received().size(), 2U);
  h.send(harness::cancelled(1));
  const deliveries all{delivery::written, delivery::written, delivery::revoked};
  EXPECT_EQ(h.echo_receipts, all);
  h.send(harness::cancelled(1));
  h.send(harness::cancelled("2"));
  EXPECT_TRUE(h.received().empty());
  EXPECT_EQ(h.echo_receipts, all);
}

TEST(cancelled, a_response_of_a_batch_that_was_written_is_revoked) {
  gated_harness h;
  h.open("2025-03-26");
  h.send(json::array({harness::call(1, "echo"), harness::call(2, "gate")}));
  h.door.opened.set();
  EXPECT_EQ(h.answer().size(), 2U);
  h.send(harness::cancelled(2));
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::written});
  EXPECT_EQ(h.door.receipts, (deliveries{delivery::written, delivery::revoked}));
}

TEST(cancelled, an_id_that_is_used_again_means_the_new_request) {
  gated_harness h;
  h.open();
  h.answer_to(harness::call(1, "echo"));
  h.send(harness::call(1, "gate"));
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.door.stopped, 1);
  h.answer_to(harness::call(2, "echo"));
  h.answer_to(harness::ask(2, "ping"));
  h.send(harness::cancelled(2));
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::written, delivery::written}));
}

TEST(cancelled, an_id_that_is_used_again_while_its_response_is_being_written_means_the_new_request) {
  gated_harness h;
  h.open();
  h.output->set_capacity(10);
  h.send(harness::call(1, "echo"));
  h.send(harness::ask(1, "ping"));
  h.output->set_capacity(1000);
  EXPECT_EQ(h.received().size(), 2U);
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::written});
}

TEST(cancelled, only_the_last_responses_can_be_revoked) {
  gated_harness h;
  h.open();
  for (std::size_t i = 0; i <= sent_receipts::max_kept; ++i) h.answer_to(harness::call(i, "echo"));
  const deliveries all(sent_receipts::max_kept + 1, delivery::written);
  h.send(harness::cancelled(0));
  EXPECT_EQ(h.echo_receipts, all);
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.echo_receipts.size(), all.size() + 1);
  EXPECT_EQ(h.echo_receipts.back(), delivery::revoked);
}

TEST(cancelled, what_was_written_stays_written_when_the_session_ends) {
  deliveries receipts;
  {
    gated_harness h;
    h.open();
    h.answer_to(harness::call(1, "echo"));
    h.input->close();
    h.settle();
    EXPECT_TRUE(h.outcome);
    h.talk.reset();
    receipts = h.echo_receipts;
  }
  EXPECT_EQ(receipts, deliveries{delivery::written});
}

TEST(cancelled, unsent_progress_is_withdrawn_too) {
  gated_harness h;
  h.open();
  h.output->set_capacity(0);
  h.send(harness::ask(1, "ping"));
  h.send(harness::call(2, "gate", json::object(), "t"));
  h.door.last->progress(1, {}, "unsent");
  h.send(harness::cancelled(2));
  h.output->set_capacity(100'000);
  EXPECT_EQ(h.answer().at("id"), 1);
}

TEST(cancelled, what_is_not_in_flight_or_malformed_is_ignored) {
  gated_harness h;
  h.open();
  h.send(harness::cancelled(99));
  h.send(harness::cancelled(nullptr));
  h.send({{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}});
  EXPECT_TRUE(h.received().empty());
  EXPECT_FALSE(h.outcome);
}

// ---- progress and logging ----

TEST(progress, carries_token_amount_total_and_message) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate", json::object(), "t"));
  EXPECT_TRUE(h.door.last->wants_progress());
  h.door.last->progress(1, 4, "one of four");
  EXPECT_EQ(h.answer(), json::parse(R"({"jsonrpc":"2.0","method":"notifications/progress",
    "params":{"progressToken":"t","progress":1.0,"total":4.0,"message":"one of four"}})"));
  h.door.last->progress(2, {}, "");
  EXPECT_EQ(h.answer().at("params"), json({{"progressToken", "t"}, {"progress", 2.0}}));
}

TEST(progress, without_a_token_is_not_sent) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  EXPECT_FALSE(h.door.last->wants_progress());
  h.door.last->progress(1, 4, "one of four");
  EXPECT_TRUE(h.received().empty());
}

TEST(progress, has_no_message_for_the_oldest_version) {
  gated_harness h;
  h.open("2024-11-05");
  h.send(harness::call(1, "gate", json::object(), 7));
  h.door.last->progress(1, {}, "words");
  EXPECT_FALSE(h.answer().at("params").contains("message"));
}

TEST(progress, of_a_client_that_does_not_read_is_only_the_newest) {
  gated_harness h;
  h.open();
  h.output->set_capacity(0);
  h.send(harness::ask(1, "ping"));
  h.send(harness::call(2, "gate", json::object(), "t"));
  for (int i = 1; i <= 10'000; ++i) h.door.last->progress(i, {}, "");
  h.output->set_capacity(100'000);
  const auto messages = h.received();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[1].at("params").at("progress"), 10'000);
}

TEST(progress, comes_before_the_response) {
  gated_harness h;
  h.open();
  h.send(harness::call(2, "gate", json::object(), "t"));
  h.door.last->progress(1, {}, "");
  h.door.opened.set();
  const auto messages = h.received();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].value("method", ""), "notifications/progress");
  EXPECT_EQ(messages[1].at("id"), 2);
}

TEST(logging, sends_what_reaches_the_level_that_the_client_set) {
  gated_harness h;
  h.open();
  h.talk->log(log_level::debug, "core", "unheard");
  EXPECT_TRUE(h.received().empty());
  h.talk->log(log_level::info, "core", {{"a", 1}});
  EXPECT_EQ(h.answer(), json::parse(R"({"jsonrpc":"2.0","method":"notifications/message",
    "params":{"level":"info","logger":"core","data":{"a":1}}})"));
  EXPECT_EQ(h.answer_to(harness::ask(1, "logging/setLevel", {{"level", "error"}})).at("result"), json::object());
  h.send(harness::call(2, "gate"));
  h.door.last->log(log_level::warning, "", "unheard");
  EXPECT_TRUE(h.received().empty());
  h.door.last->log(log_level::critical, "", "heard");
  EXPECT_EQ(h.answer().at("params"), json({{"level", "critical"}, {"data", "heard"}}));
}

TEST(logging, refuses_a_level_that_is_none) {
  harness h;
  h.open();
  EXPECT_EQ(h.error_code_for(harness::ask(1, "logging/setLevel", {{"level", "loud"}})), -32602);
  EXPECT_EQ(h.error_code_for(harness::ask(2, "logging/setLevel")), -32602);
}

TEST(logging, says_nothing_before_initialize) {
  harness h;
  h.start();
  h.talk->log(log_level::emergency, "core", "unheard");
  EXPECT_TRUE(h.received().empty());
}

// ---- batches ----

TEST(batch, is_answered_by_one_array_in_2025_03_26_only) {
  const json messages = {
      harness::ask(1, "ping"), {{"jsonrpc", "2.0"}, {"method", "notifications/x"}}, harness::ask(2, "nonsense"), 17};
  for (const char* const version : {"2024-11-05", "2025-06-18", "2025-11-25"}) {
    harness h;
    h.open(version);
    const json answer = h.answer_to(messages);
    ASSERT_TRUE(answer.is_object()) << version;
    EXPECT_EQ(answer.at("error").at("code"), -32600);
  }
  harness h;
  h.open("2025-03-26");
  const json answer = h.answer_to(messages);
  ASSERT_TRUE(answer.is_array());
  ASSERT_EQ(answer.size(), 3U);
  EXPECT_EQ(answer[0].at("id"), 1);
  EXPECT_EQ(answer[1].at("error").at("code"), -32601);
  EXPECT_EQ(answer[2].at("error").at("code"), -32600);
}

TEST(batch, before_initialize_or_with_initialize_is_refused) {
  harness h;
  h.start();
  EXPECT_EQ(h.error_code_for(json::array({harness::ask(1, "ping")})), -32600);
  h.open("2025-03-26");
  const json answer = h.answer_to(json::array({harness::ask(1, "initialize", {{"protocolVersion", "2025-03-26"}})}));
  EXPECT_EQ(answer.at(0).at("error").at("code"), -32600);
}

TEST(batch, waits_for_its_calls_and_leaves_out_the_cancelled_ones) {
  gated_harness h;
  h.open("2025-03-26");
  h.send(json::array(
      {harness::call(1, "gate"), harness::call(2, "gate"), harness::call(3, "echo"), harness::call(4, "echo")}));
  EXPECT_TRUE(h.received().empty());
  h.send(harness::cancelled(1));  // runs
  h.send(harness::cancelled(3));  // has answered, unsent
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::dropped});
  h.door.opened.set();
  const json answer = h.answer();
  ASSERT_EQ(answer.size(), 2U);
  EXPECT_EQ(answer[0].at("id"), 4);
  EXPECT_EQ(answer[1].at("id"), 2);
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::dropped, delivery::written}));
  EXPECT_EQ(h.door.receipts, deliveries{delivery::written});
}

TEST(batch, of_notifications_is_not_answered) {
  harness h;
  h.open("2025-03-26");
  h.send(json::array({{{"jsonrpc", "2.0"}, {"method", "notifications/x"}}}));
  EXPECT_TRUE(h.received().empty());
}

// ---- the end ----

TEST(end_of_session, at_the_end_of_input_calls_are_cancelled_and_answers_still_written) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.output->set_capacity(0);
  h.send(harness::call(2, "echo"));
  h.input->close();
  h.settle();
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_FALSE(h.outcome);  // the answer to 2 is not out
  h.output->set_capacity(1000);
  EXPECT_EQ(h.answer().at("id"), 2);
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::input_ended);
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::written});
}

TEST(end_of_session, a_last_line_without_newline_is_served) {
  harness h;
  h.open();
  h.input->put(harness::ask(1, "ping").dump());
  h.input->close();
  EXPECT_EQ(h.answer().at("id"), 1);
  EXPECT_TRUE(h.outcome);
}

TEST(end_of_session, waits_for_handlers_that_take_time_to_stop) {
  gated_harness h;
  coro::event cleaned(h.context.get_executor());
  tool t;
  t.name = "tidy";
  t.handler = [&](json, request_context&) -> asio::awaitable<tool_result> {
    co_await asio::this_coro::throw_if_cancelled(false);
    asio::error_code stopped;
    co_await h.door.opened.async_wait(asio::redirect_error(asio::use_awaitable, stopped));
    co_await asio::this_coro::reset_cancellation_state();
    co_await cleaned.async_wait(asio::use_awaitable);
    co_return tool_result::text("");
  };
  h.offer.add(t);
  h.open();
  h.send(harness::call(1, "tidy"));
  h.input->close();
  h.settle();
  EXPECT_FALSE(h.outcome);
  cleaned.set();
  h.settle();
  EXPECT_TRUE(h.outcome);
}

TEST(end_of_session, a_broken_input_is_its_reason) {
  harness h;
  h.open();
  h.input->break_pipe();
  h.settle();
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::input_failed);
  EXPECT_EQ(h.outcome->error, asio::error::connection_reset);
}

TEST(end_of_session, a_broken_output_ends_it_and_every_receipt_says_not_written) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.output->set_capacity(10);
  h.send(harness::call(2, "echo"));  // begun
  h.send(harness::call(3, "echo"));  // waits
  h.output->break_pipe();
  h.settle();
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::output_failed);
  EXPECT_EQ(h.outcome->error, asio::error::broken_pipe);
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::dropped, delivery::dropped}));
}

TEST(end_of_session, a_write_that_breaks_half_way_tells_the_delivered_from_the_lost) {
  gated_harness h;
  h.open();
  const std::size_t one =
      R"({"id":1,"jsonrpc":"2.0","result":{"content":[{"text":"{}","type":"text"}],"structuredContent":{}}})"s.size() +
      1;
  h.output->set_capacity(one + 10);
  h.send_text(harness::call(1, "echo").dump() + "\n" + harness::call(2, "echo").dump() + "\n");
  h.output->break_pipe();
  h.settle();
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::written, delivery::dropped}));
}

TEST(end_of_session, shutdown_from_outside_ends_it_in_good_order) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.talk->shutdown();
  h.talk->shutdown();
  h.settle();
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::shut_down);
  EXPECT_EQ(h.endings, 1);
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_TRUE(h.received().empty());
}

TEST(end_of_session, shutdown_before_the_start_ends_it_at_once) {
  harness h;
  h.talk->shutdown();
  h.start();
  EXPECT_TRUE(h.outcome);
  EXPECT_EQ(h.endings, 1);
}

TEST(end_of_session, begins_to_end_before_a_client_that_does_not_read_lets_it) {
  harness h;
  h.open();
  h.output->set_capacity(1);
  h.send(harness::ask(1, "ping"));
  EXPECT_EQ(h.endings, 0);
  h.input->close();
  h.settle();
  EXPECT_FALSE(h.outcome);
  EXPECT_EQ(h.endings, 1);
  h.talk->abort();
  h.settle();
  EXPECT_TRUE(h.outcome);
  EXPECT_EQ(h.endings, 1);
}

TEST(end_of_session, shutdown_by_a_handler_ends_it_without_its_answer) {
  harness h;
  tool t;
  t.name = "off";
  t.handler = [&h](json, request_context&) -> asio::awaitable<tool_result> {
    h.talk->shutdown();
    co_return tool_result::text("unheard");
  };
  h.offer.add(t);
  h.open("2025-03-26");
  h.send(json::array({harness::ask(1, "ping"), harness::call(2, "off"), harness::call(3, "off")}));
  EXPECT_TRUE(h.received().empty());
  EXPECT_TRUE(h.outcome);
}

TEST(end_of_session, abort_does_not_wait_for_a_client_that_does_not_read) {
  gated_harness h;
  h.open();
  h.output->set_capacity(0);
  h.send(harness::call(1, "echo"));
  h.send(harness::call(2, "echo"));
  h.talk->shutdown();
  h.settle();
  EXPECT_FALSE(h.outcome);
  h.talk->abort();
  h.settle();
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::dropped, delivery::dropped}));
}

TEST(end_of_session, cancelling_run_is_abort_and_run_returns_normally) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.output->set_capacity(0);
  h.send(harness::call(2, "echo"));
  h.stop.emit(asio::cancellation_type::terminal);
  h.settle();
  ASSERT_TRUE(h.outcome);
  EXPECT_FALSE(h.failed);
  EXPECT_EQ(h.outcome->reason, session_end::cancelled);
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_EQ(h.echo_receipts, deliveries{delivery::dropped});
}

TEST(end_of_session, a_client_that_reads_nothing_ends_it_at_the_stated_limit) {
  gated_harness h({.unsent_bytes = 10'000});
  h.open();
  h.output->set_capacity(0);
  h.send(harness::ask(1, "ping"));
  h.send(harness::call(2, "echo", {{"text", std::string(4'000, 'x')}}));
  EXPECT_FALSE(h.outcome);
  h.send(harness::call(3, "echo", {{"text", std::string(4'000, 'x')}}));
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::output_stuck);
  EXPECT_EQ(h.echo_receipts, (deliveries{delivery::dropped, delivery::dropped}));
}

TEST(end_of_session, a_batch_that_can_never_be_complete_settles_its_receipts_before_run_returns) {
  gated_harness h;
  h.open("2025-03-26");
  h.send(json::array({harness::call(1, "echo"), harness::call(2, "gate")}));
  h.input->close();
  EXPECT_EQ(h.answer().at(0).at("id"), 1);  // the other was cancelled, so the batch is complete
  EXPECT_TRUE(h.outcome);
}

TEST(end_of_session, a_world_torn_down_in_the_middle_leaves_nothing_behind) {
  deliveries receipts;
  {
    gated_harness h;
    h.open();
    h.send(harness::call(1, "gate", json::object(), "t"));
    h.output->set_capacity(0);
    h.send(harness::call(2, "echo"));
    h.send(harness::call(3, "echo"));
    h.talk.reset();
    receipts = h.echo_receipts;
  }
  // 3 waited; 2 was being written.
  EXPECT_EQ(receipts, (deliveries{delivery::dropped, delivery::dropped}));
}

}  // namespace
}  // namespace awm::mcp::testing
