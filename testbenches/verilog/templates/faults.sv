// Generated for engine {{ config.name }}: the engine behind fault injectors.
module {{ top }} (
{{ ports | join(",\n") }}
);
    logic fault_arm;
    logic [31:0] fault_port, fault_seed, fault_block_after, fault_bad_read, fault_bad_write;
    logic [7:0] fault_rate;
    logic [4:0] fault_block;
    logic [1:0] fault_response;

    // Most cycles of a run in which nothing was dispatched, retired or drained, one after the other.
    logic [31:0] fault_silence, silence;
    wire event_now = trace_dispatch != 0 || trace_retire != 0 || trace_drained != 0;
    wire [31:0] longer = !trace_running || event_now ? 32'd0 : silence + 32'd1;
    always_ff @(posedge ap_clk) begin
        silence <= longer;
        if (fault_arm) fault_silence <= 0;
        else if (longer > fault_silence) fault_silence <= longer;
    end

    // What goes through an injector has its name at the bus, and e_ before it at the engine.
{% for prefix, through in masters.items() %}
{% for signal, width in through.items() %}
    logic [{{ width - 1 }}:0] e_{{ prefix }}{{ signal }};
{% endfor %}
    logic [31:0] fault_reads_{{ loop.index0 }}, fault_writes_{{ loop.index0 }};
    fault_port #(.PORT({{ loop.index0 }})) injector_{{ loop.index0 }} (.clk(ap_clk), .rst_n(ap_rst_n), .arm(fault_arm),
        .rate(fault_rate), .seed(fault_seed), .here(fault_port == 32'd{{ loop.index0 }}), .block(fault_block),
        .block_after(fault_block_after), .bad_read(fault_bad_read), .bad_write(fault_bad_write), .response(fault_response),
        .reads(fault_reads_{{ loop.index0 }}), .writes(fault_writes_{{ loop.index0 }}),
{% if "awvalid" not in through %}
        .e_awvalid(1'd0), .m_awready(1'd0), .e_wvalid(1'd0), .m_wready(1'd0), .m_bvalid(1'd0), .e_bready(1'd0), .m_bresp(2'd0),
        .e_awready(), .m_awvalid(), .e_wready(), .m_wvalid(), .m_bready(), .e_bvalid(), .e_bresp(),
{% endif %}
        {% for signal in through %}.e_{{ signal }}(e_{{ prefix }}{{ signal }}), .m_{{ signal }}({{ prefix }}{{ signal }}){{ ", " if not loop.last }}{% endfor %});
{% endfor %}

    engine inner ({{ pins | join(",\n        ") }});
endmodule
