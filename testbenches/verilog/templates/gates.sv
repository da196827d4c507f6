// Generated: a unit and netlists of it under the same stimuli; all outputs of each are compared in every cycle.
module bench (input wire clk, output reg is_done);
    reg [{{ in_bits - 1 }}:0] stimuli [0:{{ most - 1 }}];
    reg [{{ in_bits - 1 }}:0] stimulus;
    wire [{{ out_bits - 1 }}:0] expected;
    integer cycle, cycles;
    {{ unit }} rtl (
        {{ ports("expected") | join(",\n        ") }}
    );
{% for netlist in netlists %}

    wire [{{ out_bits - 1 }}:0] seen_{{ netlist }};
    integer different_{{ netlist }};
    netlist_{{ netlist }} gates_{{ netlist }} (
        {{ ports("seen_" + netlist) | join(",\n        ") }}
    );
{% endfor %}
    initial begin
        cycle = 0;
        is_done = 0;
        stimulus = 0;
{% for netlist in netlists %}
        different_{{ netlist }} = 0;
{% endfor %}
        if ($value$plusargs("cycles=%d", cycles) == 0) $fatal(1, "The bench must be given its cycles");
        $readmemh("stimuli.hex", stimuli, 0, cycles - 1);
    end
    always @(posedge clk) begin
        cycle <= cycle + 1;
        stimulus <= stimuli[cycle];
{% for netlist in netlists %}
        if (seen_{{ netlist }} != expected) begin
            if (different_{{ netlist }} == 0) $display("first {{ netlist }} %0d %h %h", cycle - 1, expected, seen_{{ netlist }});
            different_{{ netlist }} <= different_{{ netlist }} + 1;
        end
{% endfor %}
        if (cycle == cycles) begin
{% for netlist in netlists %}
            $display("all {{ netlist }} %0d", different_{{ netlist }});
{% endfor %}
            is_done <= 1;
        end
    end
endmodule
