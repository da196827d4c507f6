// Generated for engine {{ config.name }}: the engine, its memories and the trace recorder.
module {{ top }} (
    input  logic clk,
    input  logic rst_n,
    input  logic stalling,
    input  logic hbm2,
    input  logic [{{ hbm2_bits - 1 }}:0] hbm2_law,
    input  logic [31:0] seed,
    input  logic [31:0] fault_port,
    input  logic [31:0] fault_beat,
    output logic interrupt,
{{ lite | join(",\n") }}
);
    import "DPI-C" function void bench_trace(input int kind, input int cycle, input int words, input bit [1023:0] data);

    // The engine's cycle number: zero in the first cycle of a run.
    logic [31:0] counter;
    wire [31:0] cycle = trace_cycle_start ? 32'd0 : counter;
    always_ff @(posedge clk) counter <= cycle + 32'd1;

{% for port in ports %}
{% for signal, width in port.signals.items() %}
    logic [{{ width - 1 }}:0] m_{{ port.name }}_{{ signal }};
{% endfor %}
{% endfor %}
{% for name, width in traces.items() %}
    logic [{{ width - 1 }}:0] {{ name }};
{% endfor %}

    always_ff @(posedge clk) if (rst_n) begin
        if (trace_dispatch != 0 || trace_issue != 0 || trace_retire != 0 || trace_done != 0)
            bench_trace({{ event_record }}, cycle, 1, 1024'({trace_done, trace_retire, trace_issue, trace_dispatch}));
        if (trace_drained != 0) bench_trace({{ drain_record }}, cycle, {{ config.vector.lanes }}, 1024'(trace_drained_data));
        if (trace_vector != 0) bench_trace({{ codes_record }}, cycle, {{ config.vector.lanes // 4 }}, 1024'(trace_vector_data));
    end

{% for port in ports %}
    bench_memory #(.DATA_BITS({{ port.signals.rdata }}), .PORT({{ loop.index0 }}), .PORTS({{ config.tile.ports }}), .DEPTH({{ depth }}),
        .READ_LATENCY({{ timing.READ_LATENCY }}), .WRITE_LATENCY({{ timing.WRITE_LATENCY }}), .STALL_RATE({{ timing.STALL_RATE }}),
        .HBM2_BITS({{ hbm2_bits }}), .REGION_BITS({{ region_bits }}), .SIDE_REGION({{ side_region }})
    ) memory_{{ port.name }} (.clk(clk), .rst_n(rst_n), .cycle(cycle),
        .stalling(stalling), .hbm2(hbm2), .hbm2_law(hbm2_law), .seed(seed),
        .fault_beat(fault_port == 32'd{{ loop.index0 }} ? fault_beat : 32'hFFFFFFFF),
{% if "awaddr" not in port.signals %}
        .awaddr(64'd0), .awvalid(1'b0), .awready(), .wdata('0), .wstrb('0), .wvalid(1'b0), .wready(), .bresp(), .bvalid(),
        .bready(1'b1),
{% endif %}
        {% for signal in port.signals %}.{{ signal }}(m_{{ port.name }}_{{ signal }}){{ ", " if not loop.last }}{% endfor %});
{% endfor %}

    {{ engine }} dut (.ap_clk(clk), .ap_rst_n(rst_n), .interrupt(interrupt),
{% for port in ports %}
{% for signal in port.signals %}
        .m_axi_{{ port.name }}_{{ signal }}(m_{{ port.name }}_{{ signal }}),
{% endfor %}
{% endfor %}
        {{ same | join(",\n        ") }});
endmodule
