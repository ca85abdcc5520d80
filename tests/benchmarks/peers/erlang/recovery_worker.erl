%% The worker of the recovery benchmark: a gen_server that answers for a program at a port, or for itself.
%% It ends with its program, as a worker must for its supervisor to start both anew.
-module(recovery_worker).
-behaviour(gen_server).
-export([start_link/3, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link(Mode, Python, Program) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, {Mode, Python, Program}, []).

init({"inside", _, _}) ->
    {ok, {inside, erlang:unique_integer([positive])}};
init({"port", Python, Program}) ->
    Options = [{args, ["-I", "-S", Program]}, {line, 4096}, exit_status, use_stdio],
    {ok, {open_port({spawn_executable, Python}, Options), queue:new()}}.

handle_call(who, _From, {inside, Number} = State) ->
    {reply, integer_to_list(Number), State};
handle_call(who, From, {Port, Waiting}) ->
    port_command(Port, <<"who\n">>),
    {noreply, {Port, queue:in(From, Waiting)}}.

handle_cast(_, State) ->
    {noreply, State}.

handle_info({Port, {data, {eol, Line}}}, {Port, Waiting}) ->
    {{value, From}, Rest} = queue:out(Waiting),
    gen_server:reply(From, Line),
    {noreply, {Port, Rest}};
handle_info({Port, {exit_status, Status}}, {Port, _} = State) ->
    {stop, {program, Status}, State}.
