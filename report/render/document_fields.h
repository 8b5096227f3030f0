// Which fields each object of the document has, in the order in which they are written: the one place where
// C++ and JSON names meet. A writer and a reader visit the same lists, so that neither can forget a field.
//
//   template <typename Visitor, typename T> void fields(Visitor& visit, T& object)
//
// calls visit("name", object.name) for each field. `T` may be const. Objects whose `one_line` is true are
// short and many: the writer puts each on a line of its own.
#pragma once

#include <type_traits>

#include "report/document.h"

namespace pythreads::report::document {

template <typename T, typename... Others>
concept AnyOf = (std::is_same_v<std::remove_const_t<T>, Others> || ...);

template <typename T>
inline constexpr bool one_line =
    AnyOf<T, Node, Evidence, Tool, DisturbedCall, Look, Gil, Gc, StopTheWorld, Place, RaisedAt, Exception,
          Descriptor, Wait, Hold, Local, Frame, Owner, Candidate, Gap, Edge, Failure, Host, Python>;

// `{pid, tid}` or `{pid, task}`: the one object whose fields depend on what it is.
template <typename Visitor, AnyOf<Node> T>
void fields(Visitor& visit, T& object) {
  visit("pid", object.pid);
  visit.either("tid", object.tid, "task", object.task);
}

template <typename Visitor, AnyOf<Evidence> T>
void fields(Visitor& visit, T& object) {
  visit("rule", object.rule);
  visit("text", object.text);
}

template <typename Visitor, AnyOf<Tool> T>
void fields(Visitor& visit, T& object) {
  visit("name", object.name);
  visit("version", object.version);
}

template <typename Visitor, AnyOf<Host> T>
void fields(Visitor& visit, T& object) {
  visit("name", object.name);
  visit("kernel", object.kernel);
  visit("arch", object.arch);
  visit("boot_id", object.boot_id);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<DisturbedCall> T>
void fields(Visitor& visit, T& object) {
  visit("tid", object.tid);
  visit("syscall", object.syscall);
  visit("effect", object.effect);
}

template <typename Visitor, AnyOf<Source> T>
void fields(Visitor& visit, T& object) {
  visit("kind", object.kind);
  visit("stopped", object.stopped);
  visit("pause_ms", object.pause_ms);
  visit("duration_ms", object.duration_ms);
  visit("samples", object.samples);
  visit("options", object.options);
  visit("disturbed", object.disturbed);
}

template <typename Visitor, AnyOf<Look> T>
void fields(Visitor& visit, T& object) {
  visit("captured_at", object.captured_at);
  visit("pause_ms", object.pause_ms);
  visit("verdict", object.verdict);
}

template <typename Visitor, AnyOf<Python> T>
void fields(Visitor& visit, T& object) {
  visit("version", object.version);
  visit("debug", object.debug);
  visit("free_threaded", object.free_threaded);
  visit("linkage", object.linkage);
  visit("library", object.library);
  visit("layout", object.layout);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Gil> T>
void fields(Visitor& visit, T& object) {
  visit("locked", object.locked);
  visit("holder", object.holder);
  visit("waiters", object.waiters);
}

template <typename Visitor, AnyOf<Gc> T>
void fields(Visitor& visit, T& object) {
  visit("collecting", object.collecting);
  visit("thread", object.thread);
}

template <typename Visitor, AnyOf<StopTheWorld> T>
void fields(Visitor& visit, T& object) {
  visit("requested", object.requested);
  visit("requester", object.requester);
}

template <typename Visitor, AnyOf<Interpreter> T>
void fields(Visitor& visit, T& object) {
  visit("id", object.id);
  visit("main", object.main);
  visit("gil", object.gil);
  visit("gc", object.gc);
  visit("stop_the_world", object.stop_the_world);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Place> T>
void fields(Visitor& visit, T& object) {
  visit("file", object.file);
  visit("line", object.line);
  visit("function", object.function);
}

template <typename Visitor, AnyOf<RaisedAt> T>
void fields(Visitor& visit, T& object) {
  visit("file", object.file);
  visit("line", object.line);
}

template <typename Visitor, AnyOf<Exception> T>
void fields(Visitor& visit, T& object) {
  visit("type", object.type);
  visit("message", object.message);
  visit("raised_at", object.raised_at);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Descriptor> T>
void fields(Visitor& visit, T& object) {
  visit("fd", object.fd);
  visit("what", object.what);
  visit("peer", object.peer);
}

template <typename Visitor, AnyOf<Wait> T>
void fields(Visitor& visit, T& object) {
  visit("kind", object.kind);
  visit("resource", object.resource);
  visit("target", object.target);
  visit("descriptor", object.descriptor);
  visit("timeout", object.timeout);
  visit("ends_in_ms", object.ends_in_ms);
  visit("since_ms", object.since_ms);
  visit("certainty", object.certainty);
  visit("evidence", object.evidence);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Hold> T>
void fields(Visitor& visit, T& object) {
  visit("resource", object.resource);
  visit("certainty", object.certainty);
  visit("evidence", object.evidence);
  visit("frame", object.frame);
  visit("acquired_at", object.acquired_at);
}

template <typename Visitor, AnyOf<Local> T>
void fields(Visitor& visit, T& object) {
  visit("name", object.name);
  visit("value", object.value);
  visit("redacted", object.redacted);
}

template <typename Visitor, AnyOf<Frame> T>
void fields(Visitor& visit, T& object) {
  visit("kind", object.kind);
  visit("function", object.function);
  visit("qualified_name", object.qualified_name);
  visit("file", object.file);
  visit("line", object.line);
  visit("column", object.column);
  visit("end_line", object.end_line);
  visit("end_column", object.end_column);
  visit("module", object.module);
  visit("address", object.address);
  visit("offset", object.offset);
  visit("inlined", object.inlined);
  visit("trust", object.trust);
  visit("locals", object.locals);
  visit("reason", object.reason);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Thread> T>
void fields(Visitor& visit, T& object) {
  visit("tid", object.tid);
  visit("namespace_tid", object.namespace_tid);
  visit("ident", object.ident);
  visit("name", object.name);
  visit("os_name", object.os_name);
  visit("daemon", object.daemon);
  visit("main", object.main);
  visit("kind", object.kind);
  visit("interpreter", object.interpreter);
  visit("suspended", object.suspended);
  visit("state", object.state);
  visit("cpu_ms", object.cpu_ms);
  visit("unmoved_looks", object.unmoved_looks);
  visit("gil", object.gil);
  visit("attachment", object.attachment);
  visit("held", object.held);
  visit("status", object.status);
  visit("exception", object.exception);
  visit("recursion_depth", object.recursion_depth);
  visit("tracing", object.tracing);
  visit("profiling", object.profiling);
  visit("pending_async_exception", object.pending_async_exception);
  visit("wait", object.wait);
  visit("holds", object.holds);
  visit("frames", object.frames);
  visit("trigger", object.trigger);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Owner> T>
void fields(Visitor& visit, T& object) {
  fields(visit, object.node);
  visit("certainty", object.certainty);
  visit("evidence", object.evidence);
}

template <typename Visitor, AnyOf<Candidate> T>
void fields(Visitor& visit, T& object) {
  fields(visit, object.node);
  visit("evidence", object.evidence);
}

template <typename Visitor, AnyOf<Resource> T>
void fields(Visitor& visit, T& object) {
  visit("id", object.id);
  visit("same_as", object.same_as);
  visit("kind", object.kind);
  visit("address", object.address);
  visit("name", object.name);
  visit("locked", object.locked);
  visit("owner", object.owner);
  visit("candidates", object.candidates);
  visit("owner_state", object.owner_state);
  visit("count", object.count);
  visit("capacity", object.capacity);
  visit("waiters", object.waiters);
  visit("detail", object.detail);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Task> T>
void fields(Visitor& visit, T& object) {
  visit("id", object.id);
  visit("flavour", object.flavour);
  visit("name", object.name);
  visit("coroutine", object.coroutine);
  visit("state", object.state);
  visit("status", object.status);
  visit("thread", object.thread);
  visit("frames", object.frames);
  visit("wait", object.wait);
  visit("holds", object.holds);
  visit("awaited_by", object.awaited_by);
  visit("cancelling", object.cancelling);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Gap> T>
void fields(Visitor& visit, T& object) {
  visit("where", object.where);
  visit("reason", object.reason);
}

template <typename Visitor, AnyOf<Process> T>
void fields(Visitor& visit, T& object) {
  visit("pid", object.pid);
  visit("parent_pid", object.parent_pid);
  visit("namespace_pids", object.namespace_pids);
  visit("started_at", object.started_at);
  visit("start_ticks", object.start_ticks);
  visit("captured_at", object.captured_at);
  visit("pause_ms", object.pause_ms);
  visit("command", object.command);
  visit("executable", object.executable);
  visit("working_directory", object.working_directory);
  visit("uid", object.uid);
  visit("cgroup", object.cgroup);
  visit("container_id", object.container_id);
  visit("role", object.role);
  visit("verdict", object.verdict);
  visit("summary", object.summary);
  visit("fingerprint", object.fingerprint);
  visit("python", object.python);
  visit("state", object.state);
  visit("interpreters", object.interpreters);
  visit("threads", object.threads);
  visit("resources", object.resources);
  visit("tasks", object.tasks);
  visit("gaps", object.gaps);
  visit("unread", object.unread);
}

template <typename Visitor, AnyOf<Cause> T>
void fields(Visitor& visit, T& object) {
  visit("kind", object.kind);
  visit("certainty", object.certainty);
  visit("sentence", object.sentence);
  visit("nodes", object.nodes);
  visit("resources", object.resources);
  visit("behind", object.behind);
  visit("fingerprint", object.fingerprint);
}

template <typename Visitor, AnyOf<Edge> T>
void fields(Visitor& visit, T& object) {
  visit("from", object.from);
  visit("to", object.to);
  visit("resource", object.resource);
  visit("kind", object.kind);
  visit("certainty", object.certainty);
}

template <typename Visitor, AnyOf<Findings> T>
void fields(Visitor& visit, T& object) {
  visit("verdict", object.verdict);
  visit("summary", object.summary);
  visit("fingerprint", object.fingerprint);
  visit("causes", object.causes);
  visit("edges", object.edges);
  visit("cycles", object.cycles);
}

template <typename Visitor, AnyOf<Failure> T>
void fields(Visitor& visit, T& object) {
  visit("pid", object.pid);
  visit("code", object.code);
  visit("exit", object.exit);
  visit("message", object.message);
  visit("hint", object.hint);
}

template <typename Visitor, AnyOf<Document> T>
void fields(Visitor& visit, T& object) {
  visit("schema", object.schema);
  visit("tool", object.tool);
  visit("host", object.host);
  visit("captured_at", object.captured_at);
  visit("source", object.source);
  visit("looks", object.looks);
  visit("processes", object.processes);
  visit("findings", object.findings);
  visit("errors", object.errors);
}

}  // namespace pythreads::report::document
